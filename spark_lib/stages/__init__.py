"""How each stage of the chain builds its rows or documents. `tasks` says when a stage runs, and from what."""
