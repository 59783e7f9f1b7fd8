"""The view that all JSON addresses are."""

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.views import APIView

from chat.api.described import Described


class JSONView(APIView):
    """Answers in JSON whatever Accept says, and judges the method before the credentials."""

    described: ClassVar[Described]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """REST framework would authenticate first, and answer a wrong method with a 401 or 403."""
        if str(request.method).lower() not in self.http_method_names:
            self.http_method_not_allowed(request)
        super().initial(request, *args, **kwargs)
