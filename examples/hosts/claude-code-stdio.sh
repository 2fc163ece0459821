claude mcp add --env GITHUB_TOKEN=YOUR_GITHUB_TOKEN --transport stdio prs -- pr-summarizer stdio
