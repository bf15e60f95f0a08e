"""Images of models by the specification of the Open Container Initiative, made without a Docker daemon: layers and
documents (``layers``, ``contents``, ``documents``), where they are kept (``cache``, ``layout``) and where they are pushed to
and pulled from (``client``)."""
