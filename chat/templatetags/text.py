"""Filters for what people wrote."""

from django import template

from chat.markup import markup

register = template.Library()
register.filter(markup)
