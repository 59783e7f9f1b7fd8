"""JSON for machines: REST framework views, with their parameters, bodies and answers."""
