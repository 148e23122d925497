# Completion of "spack containerize --annotate" and "spack hpc3" for bash and zsh.
# Read it after Spack's own, which is written once for Spack's own commands:
#   . spack/share/spack/setup-env.sh
#   . "$(spack python -c 'import hpc3_spack; print(hpc3_spack.COMPLETION_PATH)')"

_spack_containerize() {
    SPACK_COMPREPLY="-h --help --list-os --last-stage --annotate --root -o --output --format --check --external --image --concretize-in-build --concretize"
}

_spack_hpc3() {
    if $list_options
    then
        SPACK_COMPREPLY="-h --help"
    else
        SPACK_COMPREPLY="facts annotations containerize sbom doctor"
    fi
}

_spack_hpc3_facts() {
    SPACK_COMPREPLY="-h --help --quiet --root -o --output --concretize"
}

_spack_hpc3_annotations() {
    SPACK_COMPREPLY="-h --help --quiet --root -o --output --format --concretize"
}

_spack_hpc3_containerize() {
    SPACK_COMPREPLY="-h --help --quiet --root -o --output --format --check --external --image --concretize-in-build --concretize"
}

_spack_hpc3_sbom() {
    SPACK_COMPREPLY="-h --help --quiet --root -o --output --format --concretize"
}

_spack_hpc3_doctor() {
    SPACK_COMPREPLY="-h --help"
}

# "spack <TAB>" lists Spack's own commands from a fixed list: ours is added to it, once.
if ! type _hpc3_spack_before >/dev/null 2>&1
then
    eval "$(declare -f _spack | sed '1s/^_spack /_hpc3_spack_before /')"
fi

_spack() {
    _hpc3_spack_before
    $list_options || SPACK_COMPREPLY="$SPACK_COMPREPLY hpc3"
}
