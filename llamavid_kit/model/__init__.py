"""The model, one file a box of the paper's Figure 1: `llama_vid` walks them; then files in and out."""
