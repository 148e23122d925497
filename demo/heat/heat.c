/* Heat conduction on a square plate, by Jacobi's method. Each rank has a strip of rows; neighbours swap the rows at
   their edges in each step. The upper edge is held at 1, the others at 0: the middle of the plate tends to 1/4. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#define SIDE 128
#define STEPS 20000

#if defined __AVX512F__
#define BUILT_FOR "AVX-512"
#elif defined __AVX2__
#define BUILT_FOR "AVX2"
#else
#define BUILT_FOR "SSE"
#endif

__attribute__((noinline)) void relax(int rows, const float *restrict from, float *restrict to)
{
    for (int row = 1; row <= rows; row++)
        for (int i = row * SIDE + 1; i < (row + 1) * SIDE - 1; i++)
            to[i] = 0.25f * (from[i - 1] + from[i + 1] + from[i - SIDE] + from[i + SIDE]);
}

static void swap_edges(float *plate, int rows, int above, int below)
{
    MPI_Sendrecv(plate + SIDE, SIDE, MPI_FLOAT, above, 0, plate + (rows + 1) * SIDE, SIDE, MPI_FLOAT, below, 0,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Sendrecv(plate + rows * SIDE, SIDE, MPI_FLOAT, below, 0, plate, SIDE, MPI_FLOAT, above, 0,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

int main(int argc, char **argv)
{
    int rank, ranks;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (SIDE % ranks != 0) {
        fprintf(stderr, "heat: the number of ranks must divide %d\n", SIDE);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    int rows = SIDE / ranks;
    int above = rank > 0 ? rank - 1 : MPI_PROC_NULL, below = rank < ranks - 1 ? rank + 1 : MPI_PROC_NULL;

    float *now = calloc((rows + 2) * SIDE, sizeof *now), *next = calloc((rows + 2) * SIDE, sizeof *next);
    if (rank == 0)
        for (int i = 0; i < SIDE; i++)
            now[i] = next[i] = 1;
    for (int step = 0; step < STEPS; step++) {
        swap_edges(now, rows, above, below);
        relax(rows, now, next);
        float *last = now;
        now = next;
        next = last;
    }

    int middle = SIDE / 2;
    if (middle / rows == rank)
        printf("heat: %d ranks, built for %s, the middle of the plate is at %.2f\n", ranks, BUILT_FOR,
               now[(middle % rows + 1) * SIDE + middle]);
    MPI_Finalize();
    return 0;
}
