"""The placement policies: what each worker reads ahead and holds, and which requests move."""
