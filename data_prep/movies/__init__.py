"""Films' texts → questions and answers about long video, written by a chat model."""
