"""Places on S3, and on servers that speak like it: listing, reading, transfers, and a store for checkpoints.

boto3 alone decides who we are and where the server is: by the environment, a profile, a service account's role or the
machine's, and by AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_S3 for a server of one's own. What reads beside boto3 is handed
its decisions.
"""
