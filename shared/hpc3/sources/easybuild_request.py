"""What a record asks of an image: the build, what of it is kept, and the environment of ``module load``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hpc3.facts import Unknown
from hpc3.request import EASYBUILD_MODULES, EASYBUILD_SOFTWARE, EasyBuildRequest, EnvironmentChange, InstalledModule

from .easybuild_facts import root_variable
from .easybuild_target import module_target
from .easybuild_types import MODULES, SOFTWARE, Edge, Module, Record

#: EasyBuild's compiler families (easybuild/toolchains/compiler) and archspec's names of the compilers.
_ARCHSPEC_COMPILERS = {
    "GCC": "gcc",
    "Intel": "oneapi",
    "LLVM": "clang",
    "Clang": "clang",
    "NVHPC": "nvhpc",
    "Fujitsu": "clang",
}

#: Options that the recipe says by itself.
_OWN = ("optarch",)


def request_from_record(record: Record) -> EasyBuildRequest:
    """Return what a record asks of an image.

    Raises:
        InputError: a target is unknown to archspec.
    """
    root = record.modules[record.requested]
    modules = list(record.modules.values())
    runtime = [module for module in modules if module.runtime]
    wrapped = [module for module in modules if module.wrapper or module.is_system_or_parts]
    return EasyBuildRequest(
        easyconfig=root.easyconfig,
        version=record.easybuild,
        options={name: value for name, value in record.options.items() if name not in _OWN},
        optarch=_deciding_optarch(record, runtime),
        compilers=tuple(sorted(set(_compilers(runtime, record)))),
        files=record.files,
        build_only=tuple(_installed(module) for module in modules if not module.runtime),
        load_paths=record.load_paths,
        load_modules=record.load_modules,
        environment=tuple(_environment(record)),
        exact=record.environment is not None,
        os_build=_os_needs(modules),
        os_final=_os_needs(runtime),
        wrapped=tuple(sorted({module.name for module in wrapped})),
        wrapped_final=tuple(sorted({module.name for module in wrapped if module.runtime})),
        warnings=tuple(_warnings(record)),
    )


def _installed(module: Module) -> InstalledModule:
    file = f"{module.subdir}/{module.short_module}" if module.subdir else module.short_module
    return InstalledModule(module.install_subdir, file)


def _os_needs(modules: Iterable[Module]) -> tuple[tuple[str, ...], ...]:
    return tuple(sorted({need for module in modules for need in module.osdependencies}))


def _deciding_optarch(record: Record, runtime: Iterable[Module]) -> str:
    """Return the session's optarch where all that the compilers of the closure built was told the same.

    A build for the recording host is not repeated by the same option elsewhere: it is named by its target instead.
    """
    optarch = record.session.optarch
    told = [module.built.optarch for module in runtime if module.installed and module.built is not None]
    if any(item != optarch for item in told) or not optarch:
        return ""
    if isinstance(optarch, str):
        return "" if "native" in optarch else optarch
    if any("native" in flags for flags in optarch.values()):
        return ""
    return ";".join(f"{name}:{flags}" for name, flags in sorted(optarch.items()))


def _compilers(runtime: Iterable[Module], record: Record) -> Iterator[tuple[str, str, str]]:
    for module in runtime:
        family = module.toolchain.compiler_family
        target: str | Unknown = module_target(module, record)
        if not family or not target or module.toolchain.options.get("optarch") is False:
            continue
        for compiler in runtime:
            if compiler.name in module.toolchain.compiler_modules:
                yield _ARCHSPEC_COMPILERS.get(family, family.lower()), family, compiler.version


def _environment(record: Record) -> Iterator[EnvironmentChange]:
    if record.environment is None:
        yield from _foreseen(record)
        return
    for name, values in record.environment.items():
        placed = [_placed(value) for value in values]
        if len(placed) > 1 or name.endswith(("PATH", "PATHS", "DIRS")):
            yield EnvironmentChange("prepend", name, ":".join(placed))
        else:
            yield EnvironmentChange("set", name, placed[0] if placed else "")


def _placed(value: str) -> str:
    for name, folder in ((SOFTWARE, EASYBUILD_SOFTWARE), (MODULES, EASYBUILD_MODULES)):
        if value == name or value.startswith(f"{name}/"):
            return folder + value[len(name) :]
    return value


def _foreseen(record: Record) -> Iterator[EnvironmentChange]:
    """Foresee what the modules will set, by EasyBuild's rules (easybuild/framework/easyblock.py, ``make_module_req``).

    A folder that an installation turns out not to have does no harm; one that an easyblock adds of its own is missing
    here, and login shells have it from the module.
    """
    for module in _in_load_order(record):
        if module.wrapper:
            continue
        prefix = f"{EASYBUILD_SOFTWARE}/{module.install_subdir}"
        yield EnvironmentChange("set", root_variable(module.name), prefix)
        yield EnvironmentChange("set", root_variable(module.name).replace("ROOT", "VERSION", 1), module.version)
        if module.sources or module.parts or module.extensions:
            yield EnvironmentChange("prepend", "PATH", f"{prefix}/bin")
            yield EnvironmentChange("prepend", "LD_LIBRARY_PATH", f"{prefix}/lib")
        for name, folders in module.module_paths.items():
            yield EnvironmentChange("prepend", name, ":".join(f"{prefix}/{folder}".rstrip("/") for folder in folders))
        for name, value in module.module_variables.items():
            yield EnvironmentChange("set", name, value.replace("%(installdir)s", prefix))


def _in_load_order(record: Record) -> list[Module]:
    """Return the runtime closure with every module after those that it loads."""
    order: dict[str, Module] = {}
    todo: list[tuple[str, bool]] = [(record.requested, False)]
    seen: set[str] = set()
    while todo:
        name, done = todo.pop()
        module: Module | None = record.modules.get(name)
        if module is None or name in order:
            continue
        if done:
            order[name] = module
        elif name not in seen:
            seen.add(name)
            todo.append((name, True))
            todo += [(edge.module, False) for edge in reversed(module.dependencies) if "run" in edge.types]
    return list(order.values())


def _warnings(record: Record) -> Iterator[str]:
    for place in record.missing:
        yield f"{place} was not found, or is too large to be copied: put it beside the Dockerfile"
    externals = sorted({edge.module for module in record.modules.values() for edge in _externals(module)})
    if externals:
        yield f"external modules are not in the image: {', '.join(externals)}"


def _externals(module: Module) -> Iterator[Edge]:
    yield from (edge for edge in module.dependencies if edge.external is not None)
