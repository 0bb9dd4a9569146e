"""Chat models as judges and writers: behind an endpoint or in this process, each request kept."""
