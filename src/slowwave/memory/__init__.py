"""How what was lived connects: the graph of experiences, lessons, reflections, skills, people and things."""
