"""Places on object stores that pyarrow reads and writes: Google Cloud Storage and Azure Blob Storage."""
