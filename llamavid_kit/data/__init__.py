"""What goes in: clips, frames, texts, and the pairs of question and answer that a model is trained on and asked."""
