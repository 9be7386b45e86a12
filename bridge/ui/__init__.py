"""The bridge's page: how all is, in a browser; it reads alone, and shows nobody what they may not read themselves."""
