"""Every verb of consumers on images that state what the recipes state, in a real registry on loopback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import peers
from hpc3.consume.tweak.engines import ENGINES
from hpc3.host.document import fingerprint_to_json
from hpc3.targets import family
from oci.oci_peers import Registry, hpc3, hpc3_ok
from unit.consume.consumer_examples import host, lumi_g
from unit.consume.oci_layouts import layer_of_files, write_layout

pytestmark = pytest.mark.registry

PREFIX = "org.supercontainers."
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
RECIPES = sorted(path.parent.name for path in (peers.REPOSITORY / "recipes").glob("*/annotations.json"))


def stated(name: str) -> dict[str, str]:
    text = (peers.REPOSITORY / f"recipes/{name}/annotations.json").read_text("utf-8")
    return {key.replace(PREFIX, "", 1): value for key, value in json.loads(text).items()}


@pytest.fixture
def nodes(tmp_path: Path) -> list[Path]:
    """A plain node, and one of another site."""
    paths = []
    for fingerprint in (host("zen3", name="node"), lumi_g()):
        paths.append(tmp_path / f"{fingerprint.name}.json")
        paths[-1].write_text(fingerprint_to_json(fingerprint))
    return paths


@pytest.fixture(scope="module", params=RECIPES)
def recipe(request: pytest.FixtureRequest, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A recipe; its annotations and its SBOM are on an image in the registry, under its name."""
    name: str = request.param
    folder = peers.REPOSITORY / "recipes" / name
    layout = tmp_path_factory.mktemp("recipe") / name
    layer = layer_of_files({"opt/hpc3": b"nothing is run here"})
    write_layout(
        layout, [layer], {}, architecture=ARCHITECTURES[family(stated(name)["hardware.cpu.optimized.version"])]
    )
    registry.push(layout, f"{name}:1")
    arguments = ("--from", folder / "annotations.json", "--sbom", folder / "sbom.cdx.json")
    hpc3_ok("apply", registry.ref(f"{name}:1"), *arguments)
    return name


def test_recipes_are_found() -> None:
    assert len(RECIPES) >= 3


def test_every_verb_answers(registry: Registry, recipe: str, nodes: list[Path], tmp_path: Path) -> None:
    image, catalog = registry.ref(f"{recipe}:1"), tmp_path / "c.sqlite"
    values = stated(recipe)
    checked = hpc3("check", image, "--host", *nodes, "--format", "json")
    reports = json.loads(checked.out)
    assert [report["host"]["name"] for report in reports] == ["node", "lumi-g"]
    assert checked.code in (0, 10, 20, 30)
    assert all(report["image"]["digest"] == registry.digest(f"{recipe}:1") for report in reports)

    built = hpc3_ok("catalog", "build", image, "--sbom", "--catalog", catalog)
    assert "1 images read, 1 in the catalog" in built.err
    found = hpc3("find", values["software.name"], "--catalog", catalog, "--host", nodes[0], "--format", "json")
    (ranked,) = json.loads(found.out)
    assert ranked["digest"] == registry.digest(f"{recipe}:1")
    assert ranked["verdict"] == reports[0]["verdict"]

    hpc3_ok("catalog", "site", tmp_path / "site", "--catalog", catalog, "--host", *nodes)
    (page,) = (tmp_path / "site/images").iterdir()
    text = page.read_text("utf-8")
    assert "From the SBOM that is attached" in text
    name, _, version = values["software.dependencies"].split(",")[0].partition("@")
    # EasyBuild's names have capital letters, which those in annotations do not.
    row = f'<th scope="row">{name}</th><td data-name="Version">{version}</td>'
    assert row.lower() in text.lower()
    for report in reports:
        assert f'<span class="verdict {report["verdict"]}">' in text


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_is_configured(registry: Registry, recipe: str, nodes: list[Path], engine: str) -> None:
    done = hpc3_ok("tweak", registry.ref(f"{recipe}:1"), "--host", nodes[1], "--engine", engine)
    assert done.out.splitlines()[-1].endswith("COMMAND")


@pytest.mark.parametrize("form", ["compspec", "cyclonedx", "in-toto", "nfd"])
def test_every_format_says_whose_it_is(registry: Registry, recipe: str, form: str) -> None:
    done = hpc3_ok("export", registry.ref(f"{recipe}:1"), "--format", form)
    text = done.out
    assert stated(recipe)["software.name"] in text
    if form in ("cyclonedx", "in-toto"):
        assert registry.digest(f"{recipe}:1").partition(":")[2] in text


def test_an_sbom_costs_a_few_requests_once(registry: Registry, recipe: str, tmp_path: Path) -> None:
    image, catalog = registry.ref(f"{recipe}:1"), tmp_path / "c.sqlite"
    hpc3_ok("catalog", "build", image, "--catalog", catalog)

    def requests(*options: str) -> list[str]:
        before = len(registry.requests())
        hpc3_ok("catalog", "build", image, *options, "--catalog", catalog)
        return [entry for entry in registry.requests()[before:] if f"/v2/{recipe}/" in entry]

    assert len(requests()) == 1
    # Debian's registry has no referrers API: the tag that stands for it is read, and cosign's three are looked for.
    with_sbom = requests("--sbom")
    assert len([entry for entry in with_sbom if "/blobs/" in entry]) == 2, with_sbom  # the config, the SBOM
    assert len(with_sbom) <= 2 + 7, with_sbom  # the image itself; what is attached
    assert len(requests("--sbom")) == 1
