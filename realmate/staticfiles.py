"""Static files in production: compressed, with a hash of the content in the name."""

from django.contrib.staticfiles.apps import StaticFilesConfig
from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFilesApp(StaticFilesConfig):
    """Leaves htmx's extensions out: none is used, and some import missing files."""

    ignore_patterns = [*StaticFilesConfig.ignore_patterns, "django_htmx/ext/*"]


class StaticFiles(CompressedManifestStaticFilesStorage):
    """Rewrites the names in JavaScript imports too."""

    support_js_module_import_aggregation = True
