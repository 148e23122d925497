"""The story: what is typed, one step after the other, and what of the output matters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One step of the story.

    Attributes:
        title: what happens.
        says: why, in a sentence.
        command: what a user types.
        shows: regular expression of the lines worth showing; an ellipsis marks others between them; empty: none.
        codes: exit codes that belong to the story.
    """

    title: str
    says: str
    command: str
    shows: str = "."
    codes: tuple[int, ...] = (0,)


#: Where there is no Debian base yet; the tests of the project keep one.
BASE_FROM_DEBIAN = Step(
    "A base image",
    "Debian 12 from its own packages: no registry of others is asked.",
    """\
debootstrap --variant=minbase bookworm base http://deb.debian.org/debian
tar -C base -c . | podman import --quiet - docker.io/library/debian:12
rm -r base""",
    "Base system installed",
)

BASE_FROM_CACHE = Step(
    "A base image",
    "Debian 12, made by debootstrap for the tests of this project.",
    "podman import --quiet $BASE docker.io/library/debian:12",
    shows="",
)

STEPS = (
    Step(
        "The tools",
        "hpc3 with what reads binaries, and EasyBuild, whose wheels also go into the build below.",
        """\
python3 -m venv venv
pip install --quiet "$REPOSITORY[verify]"
pip wheel --quiet --use-pep517 --no-deps --wheel-dir wheels easybuild{,-framework,-easyblocks,-easyconfigs}==5.4.1
pip install --quiet wheels/*.whl archspec
python3 $REPOSITORY/demo/package_index.py wheels
hpc3 --version""",
        "^hpc3 ",
    ),
    Step(
        "One application, two processors",
        "EasyBuild only plans here. The hooks write down what it knows: annotations, SBOM and Dockerfile.",
        """\
for level in 3 4; do
  HPC3_OUTPUT=v$level eb -D --robot --hooks="$(hpc3 easybuild-hooks)" \\
    --optarch=GCC:march=x86-64-v$level heat-1.0-gompi-sys.eb
done
ls v4/heat-1.0-gompi-sys""",
        r"^== hpc3|^[a-z]+$|\.json|Dockerfile",
    ),
    Step(
        "Build and push",
        "Ordinary Dockerfiles: EasyBuild compiles in the first stage, the second holds what the application needs.",
        """\
for level in 3 4; do
  buildah build --layers --network=host --volume $PWD/wheels:/index:ro --build-arg PIP_INDEX_URL=file:///index \\
    --tag $REGISTRY/heat:1.0-v$level v$level/heat-1.0-gompi-sys
  buildah push --quiet --tls-verify=false $REGISTRY/heat:1.0-v$level
done""",
        "^Successfully tagged",
    ),
    Step(
        "Annotate",
        "In the registry: what only the built image tells is read there and added; no layer is written.",
        """\
for level in 3 4; do
  hpc3 apply $REGISTRY/heat:1.0-v$level --from v$level/heat-1.0-gompi-sys/record.json
done""",
        "^docker://",
    ),
    Step(
        "What is missing?",
        "Debian's Open MPI is only wrapped: the build does not know how its ranks are wired, and nothing was guessed.",
        "hpc3 validate $REGISTRY/heat:1.0-v4",
        "error",
        (1,),
    ),
    Step(
        "Ask the binaries",
        "What the build knew and two lines that only a person knows are held against the files, which add the rest.",
        """\
cat $REPOSITORY/demo/stated.json
for level in 3 4; do
  jq -s add v$level/heat-1.0-gompi-sys/annotations.json $REPOSITORY/demo/stated.json > v$level.json
  hpc3 apply $REGISTRY/heat:1.0-v$level --from v$level.json --verify --complete \\
    --sbom v$level/heat-1.0-gompi-sys/sbom.cdx.json --recipe v$level/heat-1.0-gompi-sys/record.json
done
hpc3 validate $REGISTRY/heat:1.0-v4""",
        r"^docker://| errors|org\.",
    ),
    Step(
        "Is it true?",
        "Every claim is compared with the files; the machine code of the whole image is read for the processor.",
        "hpc3 verify $REGISTRY/heat:1.0-v4",
        r"^\w+ .*(cpu\.optimized\.version|mpi\.(imp|ver|pmi|abi\.soname)|libc\.version)|bin/heat:.*avx512",
    ),
    Step(
        "A wrong label",
        "Copy the annotations of one image to another, as people do. From a source it is refused: its record differs.",
        "hpc3 apply $REGISTRY/heat:1.0-v4 --from v3/heat-1.0-gompi-sys/record.json",
        "error",
        (3,),
    ),
    Step(
        "A lie that looks well",
        "Without its source and without --verify nobody can tell: a node without AVX-512 is promised that it runs.",
        """\
hpc3 apply $REGISTRY/heat:1.0-v4 --from v3/heat-1.0-gompi-sys/annotations.json --tag 1.0-wrong
hpc3 check $REGISTRY/heat:1.0-wrong --host $REPOSITORY/demo/rome-node.json""",
        "^docker://|^host|^image|^  cpu",
        (10, 30),
    ),
    Step(
        "The lie is caught",
        "The job would have died there of SIGILL. verify names the function that would have killed it.",
        "hpc3 verify $REGISTRY/heat:1.0-wrong",
        r"^contradicts .*\.cpu\.|bin/heat:.*avx512",
        (1,),
    ),
    Step(
        "One name for both",
        "An index with the true images; what one chooses by stands beside each digest.",
        """\
hpc3 index $REGISTRY/heat:1.0 $REGISTRY/heat:1.0-v3 $REGISTRY/heat:1.0-v4
hpc3 inspect $REGISTRY/heat:1.0-v4 --format text""",
        r"^docker://|^  digest:|cpu\.optimized|mpi\.(imp|pmi|ver)|software\.(name|version)|libc\.version|referrer",
    ),
    Step(
        "Does it run there?",
        "Before anything is pulled: the AVX-512 image on a node of AMD Rome processors.",
        "hpc3 check $REGISTRY/heat:1.0-v4 --host $REPOSITORY/demo/rome-node.json",
        codes=(20,),
    ),
    Step(
        "Which one there?",
        "The best that runs, and why not the other.",
        "hpc3 find heat $REGISTRY/heat:1.0 --host $REPOSITORY/demo/rome-node.json --all",
        "^ |^take",
    ),
    Step(
        "Which one here?",
        "The same question for this machine.",
        """\
hpc3 check $REGISTRY/heat:1.0-v4 || echo "exit code $?"
hpc3 find heat $REGISTRY/heat:1.0 --all
hpc3 find heat $REGISTRY/heat:1.0 --format json | jq -r '.[0].reference' > image""",
        "^host|^  cpu|^verdict|^exit|^ +[0-9]|^take",
    ),
    Step(
        "What must the engine be told?",
        "On the cluster: a module that its administrator installs once, and the command of the job script.",
        "hpc3 tweak $REGISTRY/heat:1.0-v3 --host $REPOSITORY/demo/rome-node.json --engine podman",
    ),
    Step(
        "Run it",
        "As a user without a home, by the launcher inside; then as a job script sees it.",
        """\
podman pull --quiet --tls-verify=false $(cat image)
podman run --rm --user 1000:1000 $(sed s,docker://,, image) mpirun -n 2 --oversubscribe heat
podman run --rm $(sed s,docker://,, image) bash -lc 'command -v heat; module -t list 2>&1'""",
        "^heat|^/|^[A-Za-z]+/",
    ),
)
