"""How fast calls are beside other libraries, and how their cost grows: run by ``scripts/bench``."""
