"""Places on object stores that pyarrow reads and writes by itself: Google Cloud Storage and Azure Blob Storage."""
