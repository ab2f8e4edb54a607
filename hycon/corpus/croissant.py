"""Metadata of a corpus in the Croissant format (MLCommons, version 1.0)."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from hycon.params import Corpus

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "citeAs": "cr:citeAs",
    "conformsTo": "dct:conformsTo",
}
ENCODINGS = {
    ".csd": "application/x-hdf5",
    ".json": "application/json",
    ".pkl": "application/octet-stream",
}


def metadata(name: str, corpus: Corpus, digests: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata of a corpus as JSON-LD.

    Args:
        name: the corpus's name in corpora.yaml.
        corpus: its entry.
        digests: SHA-256 of files by name, in addition to those in the entry. Croissant requires a
            digest of each file, so files without one are left out.
    """
    files = []
    for part, file in corpus.files.items():
        digest = file.sha256 or digests.get(file.name)
        addresses = file.addresses(None, corpus.mirrors)
        if digest is None:
            continue
        suffix = PurePosixPath(file.name).suffix
        files.append(
            {
                "@type": "cr:FileObject",
                "@id": part,
                "name": file.name,
                "contentUrl": addresses[0] if addresses else file.path,
                "encodingFormat": ENCODINGS.get(suffix, "application/octet-stream"),
                "sha256": digest,
                **({"contentSize": f"{file.size} B"} if file.size else {}),
            }
        )
    facts = {
        "description": corpus.note or corpus.title,
        "license": corpus.licence,
        "url": corpus.homepage.split(" ")[0],
        "citeAs": corpus.citation,
    }
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "alternateName": corpus.title,
        **{key: text for key, text in facts.items() if text},
        "distribution": files,
    }
