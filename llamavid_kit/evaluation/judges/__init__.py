"""Who says whether a free reply is right: rules, a chat model here or behind an endpoint, and how far they agree."""
