/** Spans of time in milliseconds. Unix time has no leap seconds, so its days all have this length and start at 00:00 UTC. */

export const DAY_MS = 86_400_000;
