# App-1.0.eb by EasyBuild 5.4.1, from record.json (sha256:2eced7561b42fe7f3bd60f902cd60ba918ddec3d87469aa01b2bd22ceff01fcd).
# Written by hpc3, not by hand: change the easyconfig and write it anew with 'hpc3 containerize';
# 'hpc3 containerize --check' tells whether it is up to date. The build's context is the record's folder.
# Its environment is what EasyBuild's rules foresee; login shells have it from the modules.

# Image of the build stage
ARG BUILD_IMAGE="docker.io/library/debian:12"
# Image of the final stage
ARG FINAL_IMAGE="docker.io/library/debian:12"

FROM ${BUILD_IMAGE} AS build

# EasyBuild that the record was written by
ARG EB_RELEASE="5.4.1"
# Python package index, for sites without the internet (URL)
ARG PIP_INDEX_URL=
# Where sources are looked for first, for such sites (URL)
ARG EB_SOURCES=
# Mirror of the distribution's packages, for sites without the internet (URL)
ARG OS_PACKAGE_MIRROR=

# What EasyBuild needs, and what the easyconfigs need of the system
# hadolint ignore=DL3008
RUN if [ -n "${OS_PACKAGE_MIRROR}" ]; then \
    . /etc/os-release && echo "deb ${OS_PACKAGE_MIRROR} ${VERSION_CODENAME} main$(test -z "${UBUNTU_CODENAME:-}" || echo ' universe')" > /tmp/os-package-mirror.list; \
    set -- "-o" "Dir::Etc::sourcelist=/tmp/os-package-mirror.list" "-o" "Dir::Etc::sourceparts=-"; fi \
 && export DEBIAN_FRONTEND=noninteractive \
 && apt-get "$@" -yqq update \
 && apt-get "$@" -yqq install --no-install-recommends bzip2 ca-certificates curl file g++ git gzip libdata-dump-perl libibverbs-dev libssl-dev libthread-queue-any-perl lmod make patch perl python3 python3-venv tar unzip xz-utils \
 && rm -rf /tmp/os-package-mirror.list /var/lib/apt/lists/*

# The pinned EasyBuild, in a Python environment of its own
RUN python3 -m venv /opt/easybuild-venv \
 && if [ -n "${PIP_INDEX_URL}" ]; then export PIP_INDEX_URL; else unset PIP_INDEX_URL; fi \
 && /opt/easybuild-venv/bin/pip install --quiet --no-cache-dir "easybuild==${EB_RELEASE}"

# Install, for the processor that the labels name
# hadolint ignore=SC1091
RUN --mount=type=cache,id=hpc3-easybuild-sources,target=/var/cache/hpc3/easybuild-sources \
    . /usr/share/lmod/lmod/init/sh \
 && export EB_PYTHON=/opt/easybuild-venv/bin/python3 PATH="/opt/easybuild-venv/bin:${PATH}" \
 && mkdir -p /var/cache/hpc3/easybuild-sources /opt/easybuild-files/easyconfigs \
 && set -- \
 && if [ -n "${EB_SOURCES}" ]; then \
    set -- "--extra-source-urls=${EB_SOURCES}"; fi \
 && /opt/easybuild-venv/bin/eb App-1.0.eb --robot=/opt/easybuild-files/easyconfigs: --installpath=/opt/easybuild --sourcepath=/var/cache/hpc3/easybuild-sources:/opt/easybuild-files/sources --buildpath=/tmp/easybuild --tmpdir=/tmp --modules-tool=Lmod --allow-use-as-root-and-accept-consequences --optarch=GENERIC "$@"

# Drop what only the build needed
RUN rm -rf /opt/easybuild/software/CMake/3.31 \
 && rm -f /opt/easybuild/modules/all/CMake/3.31 /opt/easybuild/modules/all/CMake/3.31.lua

# Leave the logs and reports of the build behind; everyone may read the rest
RUN find /opt/easybuild/software -path '*/easybuild/*' \( -name '*.log' -o -name '*.log.*' \
    -o -name '*_test_report.md' -o -name '*-easybuild-devel' \) -delete \
 && mkdir -p /opt/easybuild/software /opt/easybuild/modules/all /usr/share/hpc3 \
 && chmod -R a+rX /opt/easybuild

# What is in the image: annotations.json
RUN mkdir -p /usr/share/hpc3 \
 && printf '%s\n' \
    '{' \
    ' "org.opencontainers.image.description": "App",' \
    ' "org.opencontainers.image.title": "App",' \
    ' "org.opencontainers.image.version": "1.0",' \
    ' "org.supercontainers.communication.framework": "ucx",' \
    ' "org.supercontainers.compiler.name": "gcc",' \
    ' "org.supercontainers.compiler.toolchain": "foss-2025b",' \
    ' "org.supercontainers.compiler.version": "14.3.0",' \
    ' "org.supercontainers.hardware.cpu.optimized.mode": "generic",' \
    ' "org.supercontainers.hardware.cpu.optimized.version": "x86_64",' \
    ' "org.supercontainers.hardware.gpu.vendor": "none",' \
    ' "org.supercontainers.mpi.abi.family": "openmpi",' \
    ' "org.supercontainers.mpi.abi.version": "40",' \
    ' "org.supercontainers.mpi.implementation": "openmpi",' \
    ' "org.supercontainers.mpi.pmi": "pmix_v5",' \
    ' "org.supercontainers.mpi.portability.mode": "hybrid",' \
    ' "org.supercontainers.mpi.version": "5.0.8",' \
    ' "org.supercontainers.schema.version": "1.0",' \
    ' "org.supercontainers.software.dependencies": "app@1.0,foss@2025b,gcc@14.3.0,openmpi@5.0.8,pmix@5.0.8,ucx@1.19.0",' \
    ' "org.supercontainers.software.manager.name": "easybuild",' \
    ' "org.supercontainers.software.manager.version": "5.4.1",' \
    ' "org.supercontainers.software.name": "app",' \
    ' "org.supercontainers.software.packages": "app@1.0",' \
    ' "org.supercontainers.software.recipe.digest": "sha256:2eced7561b42fe7f3bd60f902cd60ba918ddec3d87469aa01b2bd22ceff01fcd",' \
    ' "org.supercontainers.software.variants": "toolchain=foss-2025b",' \
    ' "org.supercontainers.software.version": "1.0",' \
    ' "org.supercontainers.ucx.version": "1.19.0",' \
    ' "org.supercontainers.userland.entrypoint": "none",' \
    ' "org.supercontainers.userland.modules": "lmod",' \
    ' "org.supercontainers.userland.profile": "/etc/profile.d/zz-hpc3.sh",' \
    ' "org.supercontainers.userland.shell": "/bin/bash"' \
    '}' > /usr/share/hpc3/annotations.json

# What is in the image: record.json
# hadolint ignore=DL4006
RUN mkdir -p /usr/share/hpc3 \
 && printf %s \
    QlpoOTFBWSZTWfJFZmIADbefgFAH/3Q6o95Kv+//+mAGXyQ983110SkgFAAsMlJ5R6j0GKADQAAAAAMAAAAAAAAAABBqiGmQMCaBpoaGBGIGTR \
    hJqkoDEMg0yAwJkPUaaGmjICaqITQTQJqeETRDIPU9Q9QNBk9QRKCEm1TynoR5QepoaD1NAaPQIGtAWqgSKjEIhAICDIKEEgDFgKRVQgMACir6 \
    +cunXw+P08DsADnIlgJr2NJXRa2PA3SwmgEIqErz2ufmaVHBGUyYlIoIo9CLy1LXEYh8BfNLAwfCQirJHGiJIwF9kkD+J3rpWiXX2DgJ2TXLcZ \
    lCsrKxuMxL0vLxOy1yt5eBaVlY4WpaWjjaja1HwgFkiXXG1q+OKqRdhVDDFcF7kJdLDvMy2IGWgkBNa9BFCERkAfRzbTbkOUNV8VyihD9VAhRA \
    oAJICqqqxYKwqxhmrFCzYVjEXr8p+/8jxjtMn1MjhgaGqtdNDODQ0M6GDJhWBoUKRIRElarKjUWRWIaVoClQfUUBMk0sTW1EsVV5O5hOAAAhIg \
    QApzM0UUICIwZxCi2doBadJOnQtC0scF2JsDYOoMg2bIqjiK5GFckC6TiCXwElXKoPXvzeSsQpQuUqMqXXls2JLbhyA6PnkhiGOJVeEeStlbW1 \
    Ydkes/568R4cjekl5HbMo4eV8kU6xbAd4EGnGgB2g93aBQDp3A6DeMHtwyBgMApoohYDevVBFIvwkkipInCXIkJIoVGAUU38i6V6F+6fZYsX8z \
    NnCxNj8fmZPf9PpPsPlHE/PJqq29I7VdY/OTwNKXdoM/rOnd8o+W5yriupcF9PMga7LhAOFli/0Wme1E9wGc5Zg17uXyj21N5dyr27Tyj1q7Ty \
    5HWOh2m3z5mx4a9cVeHbWpt1jfNYmJcb3H0jngusFeKGS4HIQjGJCBCMIxjrXZUGy5pFISDFwNGK0Cg4LUXNDOL8z46nDrvoe2VXx6X5etOUYj \
    Yx7GTv64No7OB0jpurFTNaK9lMl2HPNozMnE7PDx0uz2O0W1+EnvjTQ8Uz9xjhiXU8TbXmexrtPdO93TCnIyYtKsHiq4Ht44wb8DFYMK6p21vG \
    eEaHgOB2Ks846FqYjFWDodY8usb9DbqcxjCvfwjt1Peq767hamEtjSMjGO876tI0OUYlprVuc5tJwi3lzVatOGCloAYLy5LVAz080kJAkZCQkV \
    sRjbezHCOBgxvmpiqx1q2Tmc1bpaFXHgm+NOORmNIyZ4nkqz1V30NqnmdiXFTB+M66Rfp5i9O8t73n19OhsrMs+x5y8o8TgPM4f+prHjuferyD \
    jg7uf6KweBxe4xVwOekYS7u8z6nFv0xpPv00NavIztMcFcsVMmx0G493qYr9XDJ5cVNzB9phV9pirjMFlgwtjh8cV5nL13Mm5xk7rrHwVctjJo \
    cF3GFxxtGunqqyczU4StFWNuZry5GI6N871dDMr8BfCa1e6ORxHEXifcOh4mqukfDzNk+uLU+x9cHpQ6qth6H7J0q7jz9DHLW0wlx1yePb/WyQ \
    a2FdyusQ50IgZjfn6uqgQgEWABSTz2gU3XhVRVWNCUqhYKqSf4u5IpwoSHkiszEA \
    | base64 -d | bzip2 -d > /usr/share/hpc3/record.json

# What is in the image: sbom.cdx.json
# hadolint ignore=DL4006
RUN mkdir -p /usr/share/hpc3 \
 && printf %s \
    QlpoOTFBWSZTWTfxXo8AB4ffgAAQUAf/8n+n32q/7//qUATY1wqzvLzvecESMMlT1Bp6IGgGTT1NAAD1AAAAyTUxNG0lPU0HoIAAABoGgGgiKh \
    JqeKeRG1D0TQAaPUDQAANAiUU9BTE0m0aaajBPUA0aZDQ0NA0CKJCaaaTeoBT1AaAZADQY1AHqc+KM6aP+d+Su1VxkhIkkYSyUJVKIRYEiJGxC \
    rFYsW2RaLIC2i/jt1BwOotyUoFOPf0cT2tHg9tmPRlexKRUVzlCJE6QYJ7vqAqs08Py33WyTCNYTNqBfyRKA93UbNeWbXs66moTGT6FbSacLgU \
    tLaW0jgwQrKkT8rQotFiueI5MSBATuvwDkgkYoadOmVTkWBIIEYCkQIQipAIqRixYIPDW0tDaPEcPfo+/Ab1z2ZoZYZa9AvRTyqVirVYyQgg0U \
    7DE2mPqx5jdw5a+Qza/0BnaTfbaW2WQvn0qdm8GKYIZJauRTKvnXW7Xam+2de1kmwe86VlIHSiUnLFPF5ONdvDzm1ODwzVo9UphcMGxlpDPim3 \
    PPQZoxcFGaukSdpKUy3yFCAzMVIeL0uBXIQGnd1QEhaLQ4h1TRcziVvmgzfAMHYoO5CYMuSRIxgv2K8QNV1156iCCQISVqQzoCYAoGNAAhLGMt \
    Bc1lRk8negvA+YEpTiOop9e0zcU89q3x0doHsGDm60kcdy1H7dW0Lcw45gNZRKXL1n4TsTYlyXcPhzAyiHyQWgiYhKFBGDwv+H2t16VlyIOEyK \
    4UgG+FfBQgL5lquGqbHEb17V2oGX13GyGhfbOo6/jr6tzQh4lzr29yBu5Fw627ITJ2PwzaS1LOtdKpYXm3DCguA5iYIT/SUAalHGe4KkXWueQB \
    dhjYzmXvRTQ7MQ2bT+cy8V0biRNxECSkatgwCFgaZKrLwyThnQOS1w7su/LATCZcGQD+LSreBYtxI0WLHQ4to3DUplO5mWti2rzJ/YOYDjuYBn \
    XMuZ3V3fGulTiANG3m59XRcBeYdJRpmXYtKnMaHkXfvHTpW8TgyAbFiwOS3GBuVELi8ygWxUkISBMVuGi6rLeuLcLUCjynsPBd0QvXnaGdaxvt \
    MFCiFiuOawLwN+HLiWWCPgF2G4tFouALRW0LJA2sLTIskgc6GKXKmzFprAhd2IGopxX/eJDea3ADpegrCwMLbtA1DYhwdywt9Zeo3EBHS3AbF3 \
    LK4A4G9eBNlo3s6iSEJISS9aDnblsOSLF1LgLklVsBASy72VZKgyLrqNlnkDcWy4FOFnGpcxoXwFmdC8M6BkkZvCJm4arYaVwAnOuAGhb0N60A \
    NukErUQ5D2ajIuZYxKyoQBCBY8TTtlsGNYhqWzYgc+wA5fIDpZBhIsgkkX+mEA0kh77RWf8XckU4UJA38V6P \
    | base64 -d | bzip2 -d > /usr/share/hpc3/sbom.cdx.json

# Login shells get the same environment, and the module command
# hadolint ignore=SC2016
RUN mkdir -p /etc/profile.d \
 && printf '%s\n' \
    '# The module command, and the modules loaded that give the environment below: nothing of it is left to do.' \
    'if [ -n "${BASH_VERSION-}" ]; then . /usr/share/lmod/lmod/init/bash; else . /usr/share/lmod/lmod/init/sh; fi' \
    'module use /opt/easybuild/modules/all' \
    'module load App/1.0' \
    '# The environment of this image'"'"'s software for login shells, whose /etc/profile resets it.' \
    '# POSIX sh; reading it twice changes nothing; needs neither HOME nor USER, and writes nothing.' \
    'export EBROOTAPP=/opt/easybuild/software/App/1.0' \
    'export EBROOTFOSS=/opt/easybuild/software/foss/2025b' \
    'export EBROOTGCC=/opt/easybuild/software/GCC/14.3.0' \
    'export EBROOTOPENMPI=/opt/easybuild/software/OpenMPI/5.0.8' \
    'export EBROOTPMIX=/opt/easybuild/software/PMIx/5.0.8' \
    'export EBROOTUCX=/opt/easybuild/software/UCX/1.19.0' \
    'export EBVERSIONAPP=1.0' \
    'export EBVERSIONFOSS=2025b' \
    'export EBVERSIONGCC=14.3.0' \
    'export EBVERSIONOPENMPI=5.0.8' \
    'export EBVERSIONPMIX=5.0.8' \
    'export EBVERSIONUCX=1.19.0' \
    'case :${LD_LIBRARY_PATH-}: in *:/opt/easybuild/software/GCC/14.3.0/lib:*) ;; *) LD_LIBRARY_PATH=/opt/easybuild/software/GCC/14.3.0/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} ;; esac' \
    'case :${LD_LIBRARY_PATH-}: in *:/opt/easybuild/software/UCX/1.19.0/lib:*) ;; *) LD_LIBRARY_PATH=/opt/easybuild/software/UCX/1.19.0/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} ;; esac' \
    'case :${LD_LIBRARY_PATH-}: in *:/opt/easybuild/software/PMIx/5.0.8/lib:*) ;; *) LD_LIBRARY_PATH=/opt/easybuild/software/PMIx/5.0.8/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} ;; esac' \
    'case :${LD_LIBRARY_PATH-}: in *:/opt/easybuild/software/OpenMPI/5.0.8/lib:*) ;; *) LD_LIBRARY_PATH=/opt/easybuild/software/OpenMPI/5.0.8/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} ;; esac' \
    'case :${LD_LIBRARY_PATH-}: in *:/opt/easybuild/software/App/1.0/lib:*) ;; *) LD_LIBRARY_PATH=/opt/easybuild/software/App/1.0/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} ;; esac' \
    'export LD_LIBRARY_PATH' \
    'export LMOD_ALLOW_ROOT_USE=yes' \
    'case :${MODULEPATH-}: in *:/opt/easybuild/modules/all:*) ;; *) MODULEPATH=/opt/easybuild/modules/all${MODULEPATH:+:$MODULEPATH} ;; esac' \
    'export MODULEPATH' \
    'case :${PATH-}: in *:/opt/easybuild/software/GCC/14.3.0/bin:*) ;; *) PATH=/opt/easybuild/software/GCC/14.3.0/bin${PATH:+:$PATH} ;; esac' \
    'case :${PATH-}: in *:/opt/easybuild/software/UCX/1.19.0/bin:*) ;; *) PATH=/opt/easybuild/software/UCX/1.19.0/bin${PATH:+:$PATH} ;; esac' \
    'case :${PATH-}: in *:/opt/easybuild/software/PMIx/5.0.8/bin:*) ;; *) PATH=/opt/easybuild/software/PMIx/5.0.8/bin${PATH:+:$PATH} ;; esac' \
    'case :${PATH-}: in *:/opt/easybuild/software/OpenMPI/5.0.8/bin:*) ;; *) PATH=/opt/easybuild/software/OpenMPI/5.0.8/bin${PATH:+:$PATH} ;; esac' \
    'case :${PATH-}: in *:/opt/easybuild/software/App/1.0/bin:*) ;; *) PATH=/opt/easybuild/software/App/1.0/bin${PATH:+:$PATH} ;; esac' \
    'export PATH' > /etc/profile.d/zz-hpc3.sh

FROM ${FINAL_IMAGE}

# Mirror of the distribution's packages, for sites without the internet (URL)
ARG OS_PACKAGE_MIRROR=

# What the modules and the software need of the system
# hadolint ignore=DL3008
RUN if [ -n "${OS_PACKAGE_MIRROR}" ]; then \
    . /etc/os-release && echo "deb ${OS_PACKAGE_MIRROR} ${VERSION_CODENAME} main$(test -z "${UBUNTU_CODENAME:-}" || echo ' universe')" > /tmp/os-package-mirror.list; \
    set -- "-o" "Dir::Etc::sourcelist=/tmp/os-package-mirror.list" "-o" "Dir::Etc::sourceparts=-"; fi \
 && export DEBIAN_FRONTEND=noninteractive \
 && apt-get "$@" -yqq update \
 && apt-get "$@" -yqq install --no-install-recommends ibverbs-providers libibverbs1 librdmacm1 lmod \
 && rm -rf /tmp/os-package-mirror.list /var/lib/apt/lists/*

# The runtime closure
COPY --from=build ["/opt/easybuild/software", "/opt/easybuild/software/"]

# Its modules
COPY --from=build ["/opt/easybuild/modules/all", "/opt/easybuild/modules/all/"]

# What is in it
COPY --from=build ["/usr/share/hpc3", "/usr/share/hpc3/"]

# Its environment for login shells
COPY --from=build ["/etc/profile.d/zz-hpc3.sh", "/etc/profile.d/"]

# Interactive shells that are no login shells get the same
# hadolint ignore=SC2016
RUN printf '%s\n' 'if [ -n "${PS1-}" ]; then . /etc/profile.d/zz-hpc3.sh; fi' >> /etc/bash.bashrc

# For every start that passes by login files and entrypoints
ENV EBROOTAPP="/opt/easybuild/software/App/1.0" \
    EBROOTFOSS="/opt/easybuild/software/foss/2025b" \
    EBROOTGCC="/opt/easybuild/software/GCC/14.3.0" \
    EBROOTOPENMPI="/opt/easybuild/software/OpenMPI/5.0.8" \
    EBROOTPMIX="/opt/easybuild/software/PMIx/5.0.8" \
    EBROOTUCX="/opt/easybuild/software/UCX/1.19.0" \
    EBVERSIONAPP="1.0" \
    EBVERSIONFOSS="2025b" \
    EBVERSIONGCC="14.3.0" \
    EBVERSIONOPENMPI="5.0.8" \
    EBVERSIONPMIX="5.0.8" \
    EBVERSIONUCX="1.19.0" \
    LD_LIBRARY_PATH="/opt/easybuild/software/App/1.0/lib:/opt/easybuild/software/OpenMPI/5.0.8/lib:/opt/easybuild/software/PMIx/5.0.8/lib:/opt/easybuild/software/UCX/1.19.0/lib:/opt/easybuild/software/GCC/14.3.0/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" \
    LMOD_ALLOW_ROOT_USE="yes" \
    MODULEPATH="/opt/easybuild/modules/all${MODULEPATH:+:$MODULEPATH}" \
    PATH="/opt/easybuild/software/App/1.0/bin:/opt/easybuild/software/OpenMPI/5.0.8/bin:/opt/easybuild/software/PMIx/5.0.8/bin:/opt/easybuild/software/UCX/1.19.0/bin:/opt/easybuild/software/GCC/14.3.0/bin:${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"

# No entrypoint: what is asked for is what runs; a login shell where nothing is asked for
WORKDIR /
ENTRYPOINT []
CMD ["/bin/bash", "-l"]

LABEL "org.opencontainers.image.title"="App" \
      "org.supercontainers.communication.framework"="ucx" \
      "org.supercontainers.hardware.cpu.optimized.mode"="generic" \
      "org.supercontainers.hardware.cpu.optimized.version"="x86_64" \
      "org.supercontainers.hardware.gpu.vendor"="none" \
      "org.supercontainers.mpi.abi.family"="openmpi" \
      "org.supercontainers.mpi.abi.version"="40" \
      "org.supercontainers.mpi.implementation"="openmpi" \
      "org.supercontainers.mpi.pmi"="pmix_v5" \
      "org.supercontainers.mpi.portability.mode"="hybrid" \
      "org.supercontainers.mpi.version"="5.0.8" \
      "org.supercontainers.schema.version"="1.0" \
      "org.supercontainers.software.name"="app" \
      "org.supercontainers.software.version"="1.0" \
      "org.supercontainers.ucx.version"="1.19.0" \
      "org.supercontainers.userland.entrypoint"="none"
