"""``hpc3 catalog``: what is known of many images, and what a site states of them."""

from __future__ import annotations

import argparse
from pathlib import Path

from hpc3.errors import UsageError

from .arguments import ImageArguments, add_catalog_argument, add_host_argument, catalog_path, host_of, text_of
from .images import access_from, configure_access, configure_images, progress, references_from
from .output import talk


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own verbs."""
    verbs = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = verbs.add_parser("add", help="state annotations of an image that you cannot change")
    add.add_argument("image", metavar="IMAGE", help="an image, or a file of 'hpc3 inspect'")
    add.add_argument("--from", dest="file", required=True, metavar="FILE", help="a flat JSON object of annotations")
    build = verbs.add_parser("build", help="read images into the catalog; what did not change costs one request")
    configure_images(build)
    build.add_argument("--sbom", action="store_true", help="also read attached SBOMs, for a few requests more an image")
    push = verbs.add_parser("push", help="publish the catalog in a registry or a layout")
    pull = verbs.add_parser("pull", help="take in a published catalog")
    for shared in (push, pull):
        shared.add_argument("reference", metavar="REFERENCE", help="docker://REGISTRY/REPOSITORY:TAG, oci:DIR:TAG")
    site = verbs.add_parser("site", help="write a static website over the catalog")
    site.add_argument("folder", metavar="DIR", help="is made, or replaced where an earlier run made it")
    add_host_argument(site, several=True)
    add_catalog_argument(site)
    for verb in (add, build, push, pull):
        add_catalog_argument(verb)
        if verb is not build:
            configure_access(verb)
    configure_access(build)


def run(args: argparse.Namespace) -> int:
    """Do what is asked with the catalog."""
    return {"add": _add, "build": _build, "push": _push, "pull": _pull, "site": _site}[args.action](args)


def _add(args: argparse.Namespace) -> int:
    from hpc3.consume.catalog import Catalog
    from hpc3.consume.image import annotations_from_json
    from hpc3.oci.opening import Stores

    values = annotations_from_json(text_of(args.file), args.file)
    with Stores(access_from(args)) as stores:  # what the site stated before is not to be stated again
        image = ImageArguments(stores).one(args.image)
    if not image.digest:
        raise UsageError("has no digest, which the catalog goes by", where=args.image)
    with Catalog(catalog_path(args.catalog), create=True) as catalog:
        catalog.put_image(image)
        catalog.put_external(image.digest, values, image.reference)
    talk(f"{len(values)} statements of {image.digest}", quiet=args.quiet)
    return 0


def _build(args: argparse.Namespace) -> int:
    from hpc3.consume.catalog import Catalog
    from hpc3.consume.scan import scan_images
    from hpc3.oci.opening import Stores

    if args.platform:
        raise UsageError("a catalog holds the images of all platforms: --platform goes with the other verbs")
    worst, read = 0, 0
    with Stores(access_from(args)) as stores, Catalog(catalog_path(args.catalog), create=True) as catalog:
        references = references_from(args, stores)
        with progress(len(references), quiet=args.quiet) as shown:
            for scanned in shown.over(scan_images(catalog, stores, references, args.jobs, with_sboms=args.sbom)):
                read += len(scanned.images)
                if scanned.error is not None:
                    talk(f"error: {scanned.reference}: {scanned.error}")
                    worst = max(worst, scanned.error.exit_code)
        talk(f"{read} images read, {catalog.count()} in the catalog", quiet=args.quiet)
    return worst


def _push(args: argparse.Namespace) -> int:
    from hpc3.consume.catalog import Catalog
    from hpc3.consume.share import push_catalog
    from hpc3.oci.opening import Stores
    from hpc3.oci.reference import parse_reference

    reference = parse_reference(args.reference)
    with Stores(access_from(args), writing=True) as stores, Catalog(catalog_path(args.catalog)) as catalog:
        talk(f"{reference} is {push_catalog(catalog, stores.open(reference), reference)}", quiet=args.quiet)
    return 0


def _pull(args: argparse.Namespace) -> int:
    from hpc3.consume.catalog import Catalog
    from hpc3.consume.share import pull_catalog
    from hpc3.oci.opening import Stores
    from hpc3.oci.reference import parse_reference

    reference = parse_reference(args.reference)
    with Stores(access_from(args)) as stores, Catalog(catalog_path(args.catalog), create=True) as catalog:
        count = pull_catalog(catalog, stores.open(reference), reference)
        talk(f"{count} images taken in, {catalog.count()} in the catalog", quiet=args.quiet)
    return 0


def _site(args: argparse.Namespace) -> int:
    from hpc3.consume.catalog import Catalog
    from hpc3.consume.site.build import build_site

    hosts = [host_of(path) for path in args.host]
    with Catalog(catalog_path(args.catalog)) as catalog:
        count = build_site(catalog.images(), hosts, Path(args.folder), catalog.sbom)
    talk(f"{count} images in {args.folder}/index.html", quiet=args.quiet)
    return 0
