"""JSON for machines: REST framework views, what they take, and what they answer."""
