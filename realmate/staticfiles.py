"""Static files in production: compressed, and named after what they hold."""

from django.contrib.staticfiles.apps import StaticFilesConfig
from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFilesApp(StaticFilesConfig):
    """Without htmx's extensions: none is used, and some import what is not there."""

    ignore_patterns = [*StaticFilesConfig.ignore_patterns, "django_htmx/ext/*"]


class StaticFiles(CompressedManifestStaticFilesStorage):
    """Modules that import one another find the new names too."""

    support_js_module_import_aggregation = True
