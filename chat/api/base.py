"""The base of the views of all JSON addresses."""

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.views import APIView

from chat.api.described import Described
from chat.api.parameters import NoParameters


class JSONView(APIView):
    """Answers in JSON, ignores Accept, and judges the method before the credentials.

    A view without `parameters` in its description refuses all of them.
    """

    described: ClassVar[Described]
    # True where a refusal could lose an event, or take a healthy process out of service.
    ignores_parameters: ClassVar[bool] = False

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Judge the method first. REST framework would authenticate first, and answer a wrong method by 401 or 403."""
        if str(request.method).lower() not in self.http_method_names:
            self.http_method_not_allowed(request)
        super().initial(request, *args, **kwargs)
        if self.described.parameters is None and not self.ignores_parameters:
            NoParameters.read(request.query_params)
