"""A QuestDB server as another place that answers: its words, its answers, its refusals."""
