"""ARM's `Microsoft.CognitiveServices/accounts/deployments`: the control plane that Azure's deployments are made in.

One server is one resource: whatever subscription, group and account a path names, the deployments are the same.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response

from ftkit.server import wire_arm
from ftkit.server.records import DeploymentRecord, DeploymentWord
from ftkit.server.routes._common import StrictRoute, reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ftkit.server.office import Office

_ACCOUNT = (
    "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.CognitiveServices/accounts/{account}"
)
_RESULTS = "/subscriptions/{subscription}/providers/Microsoft.CognitiveServices/locations/local/operationResults"
_SOON_S = "1"
_OPERATION = "azure-asyncoperation"

Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{1,62}$")]
"""Name of a deployment; ARM takes 2 to 64 of these letters."""
Word = Annotated[str, Path(max_length=200)]
Version = Annotated[str, Query(alias="api-version", pattern=r"^\d{4}-\d{2}-\d{2}(-preview)?$")]


def router(office: Office) -> APIRouter:
    """Returns the paths of deployments."""
    paths = APIRouter(tags=["deployments"], route_class=StrictRoute)
    one, result = f"{_ACCOUNT}/deployments/{{name}}", f"{_RESULTS}/{{operation}}"

    @paths.put(one, response_model=wire_arm.Deployment)
    def put_deployment(
        request: Request,
        subscription: Word,
        group: Word,
        account: Word,
        name: Name,
        version: Version,
        body: wire_arm.PutDeployment,
    ) -> Response:
        """Makes a deployment, or changes one. It is there when the operation that the answer names has succeeded."""
        record, is_new = office.deployments.put(name, body)
        headers = _operation(request, subscription, record, version)
        return reply(_written(record, subscription, group, account), 201 if is_new else 200, headers)

    @paths.get(one, response_model=wire_arm.Deployment)
    def get_deployment(subscription: Word, group: Word, account: Word, name: Word, version: Version) -> Response:
        """Tells how a deployment is."""
        del version
        record = office.deployments.get(name)
        return reply(_written(record, subscription, group, account), headers={"etag": f'"{record.stamp}"'})

    @paths.get(f"{_ACCOUNT}/deployments", response_model=wire_arm.DeploymentList)
    def list_deployments(subscription: Word, group: Word, account: Word, version: Version) -> Response:
        """Lists all deployments."""
        del version
        return reply({"value": [_written(each, subscription, group, account) for each in office.deployments.all()]})

    @paths.delete(one)
    def delete_deployment(
        request: Request, subscription: Word, group: Word, account: Word, name: Word, version: Version
    ) -> Response:
        """Deletes a deployment; one that is not there is no error."""
        del group, account
        record = office.deployments.delete(name)
        if record is None:
            return Response(status_code=204)
        return Response(status_code=202, headers=_operation(request, subscription, record, version))

    @paths.get(result, response_model=wire_arm.Operation)
    def get_operation(subscription: Word, operation: Word, version: Version) -> Response:
        """Tells how far an operation is; its name is that of its deployment, after what is done to it."""
        del version
        verb, _, name = operation.partition(".")
        body = _progress(verb, office.deployments.find(name))
        path = f"{_RESULTS.format(subscription=subscription)}/{operation}"
        waits = {"Retry-After": _SOON_S} if body["status"] == "InProgress" else None
        return reply({"id": path, "name": operation, **body}, headers=waits)

    return paths


def _operation(request: Request, subscription: str, record: DeploymentRecord, version: str) -> dict[str, str]:
    """Returns where to ask after what was begun; nothing, where it is done already."""
    verbs = {DeploymentWord.CREATING: "create", DeploymentWord.DELETING: "delete"}
    if record.word not in verbs:
        return {}
    path = f"{_RESULTS.format(subscription=quote(subscription))}/{verbs[record.word]}.{record.id}"
    url = f"{str(request.base_url).rstrip('/')}{path}?api-version={version}"
    return {_OPERATION: url, "Retry-After": _SOON_S}


def _progress(verb: str, record: DeploymentRecord | None) -> Mapping[str, Any]:
    if record is None:
        gone = {"code": "NotFound", "message": "The deployment is not there."}
        return {"status": "Succeeded"} if verb == "delete" else {"status": "Failed", "error": gone}
    if record.word is DeploymentWord.FAILED:
        return {"status": "Failed", "error": {"code": "DeploymentFailed", "message": record.error or "no reason"}}
    done = record.word is DeploymentWord.SUCCEEDED and verb != "delete"
    return {"status": "Succeeded" if done else "InProgress"}


def _written(record: DeploymentRecord, subscription: str, group: str, account: str) -> dict[str, Any]:
    made = datetime.fromtimestamp(record.created_at, UTC).isoformat().replace("+00:00", "Z")
    sku = {"name": record.sku, **({} if record.capacity is None else {"capacity": record.capacity})}
    model = {"format": record.format, "name": record.model, "version": record.version}
    path = _ACCOUNT.format(subscription=subscription, group=group, account=account)
    return {
        "id": f"{path}/deployments/{record.id}",
        "type": "Microsoft.CognitiveServices/accounts/deployments",
        "name": record.id,
        "sku": sku,
        "properties": {
            "model": {name: value for name, value in model.items() if value is not None},
            "provisioningState": record.word.value,
            "capabilities": {"chatCompletion": "true"},
            "currentCapacity": record.capacity or 1,
        },
        "systemData": {"createdAt": made, "lastModifiedAt": made},
        "etag": f'"{record.stamp}"',
        **({"tags": dict(record.tags)} if record.tags else {}),
    }
