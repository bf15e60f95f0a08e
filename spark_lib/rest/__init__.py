"""The REST service: scores rows by the model of the newest released day, as the batch does."""
