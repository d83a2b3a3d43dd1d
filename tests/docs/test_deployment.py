"""The Dockerfile and the manifests for Kubernetes name what exists, and fit the schemas of the operator."""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from curation.jobs.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "docs" / "kubernetes"


def manifests() -> Iterator[dict[str, Any]]:
    for path in sorted(MANIFESTS.glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


def containers(values: Any) -> Iterator[dict[str, Any]]:
    """All containers anywhere in a manifest."""
    if isinstance(values, dict):
        yield from values.get("containers", [])
    for part in values.values() if isinstance(values, dict) else values if isinstance(values, list) else ():
        yield from containers(part)


def strict(schema: Any) -> Any:
    """The schema, in which an object may only have the properties that it describes."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(part) for name, part in schema.items()}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    return made if is_open or "properties" not in schema else {**made, "additionalProperties": False}


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    """The schema of `spec` by kind, from the definitions that dask-kubernetes ships; it need not be importable."""
    try:
        files = importlib.metadata.distribution("dask-kubernetes").files or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("dask-kubernetes, which has the schemas, is not installed")
    found = {}
    for file in files:
        if re.search(r"/crds/.*\.yaml$", str(file)):
            text = re.sub(r"\{\{.*?\}\}", "", Path(str(file.locate())).read_text(encoding="utf-8"))
            for definition in filter(None, yaml.safe_load_all(text)):
                (version,) = definition["spec"]["versions"]
                schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
                found[definition["spec"]["names"]["kind"]] = strict(schema)
    return found


def test_manifests_fit_the_schemas(schemas: dict[str, Any]) -> None:
    """Every manifest of the operator, and the pod of the driver, has only known fields of the right types."""
    jsonschema = pytest.importorskip("jsonschema")
    kinds = []
    for manifest in manifests():
        kinds.append(manifest["kind"])
        if manifest["kind"] == "Job":
            pod = schemas["DaskJob"]["properties"]["job"]["properties"]["spec"]
            jsonschema.validate(manifest["spec"]["template"]["spec"], pod)
        else:
            jsonschema.validate(manifest["spec"], schemas[manifest["kind"]])
    assert kinds == ["DaskCluster", "DaskAutoscaler", "Job"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"cluster": "x", "minimum": 1, "maximun": 2}, schemas["DaskAutoscaler"])


def test_names_in_the_manifests_agree() -> None:
    """One image for all, so that they run the same code; the driver's command exists, and names the scheduler."""
    cluster, autoscaler, job = manifests()
    assert len({each["image"] for manifest in manifests() for each in containers(manifest)}) == 1
    assert autoscaler["spec"]["cluster"] == cluster["metadata"]["name"]
    assert cluster["spec"]["scheduler"]["service"]["selector"]["dask.org/cluster-name"] == cluster["metadata"]["name"]
    (driver,) = containers(job)
    words = driver["command"]
    assert f"tcp://{cluster['metadata']['name']}-scheduler:8786" in words
    options = {option for parameter in get_command(app).commands["run"].params for option in parameter.opts}  # type: ignore[attr-defined]
    assert {word for word in words if word.startswith("--")} <= options
    (rule,) = job["spec"]["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["containerName"] == driver["name"]


def test_the_dockerfile_installs_extras_that_exist() -> None:
    """Extras are those of pyproject.toml, and files that are copied exist."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (extras,) = re.findall(r"whl\)\[(.*?)\]", text)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {*extras.split(",")} <= {*project["optional-dependencies"]}
    for line in text.splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            assert (ROOT / shlex.split(line)[1]).exists()
