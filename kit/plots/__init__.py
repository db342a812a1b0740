"""Style, pages and players that the report, the exploration, the map and the timeline share."""
