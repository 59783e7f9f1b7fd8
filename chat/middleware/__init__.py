"""The middleware, from the edge inwards. realmate/settings.py has the order."""
