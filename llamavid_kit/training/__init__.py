"""Teaching a model: which parts train, the batches, one resumable loop, LoRA and the published stages."""
