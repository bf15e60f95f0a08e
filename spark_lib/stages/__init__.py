"""How each stage of the chain builds its rows or documents; `tasks` says when, and from what."""
