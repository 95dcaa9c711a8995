/**
 * The tables of a `Scheduler` object: rows change when daemons come and go, and never for a job unless two daemons raced
 * for it.
 */
export const SCHEDULER_MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE registrations (
    daemon TEXT PRIMARY KEY,
    relay TEXT NOT NULL,
    registration TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- Counts the starts that granted something: fences of a later start are greater than all before.
  CREATE TABLE incarnation (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    number INTEGER NOT NULL
  ) STRICT;
  `,
  `
  -- The fairness counters, now and then: what a restart in between loses is a moment's shares.
  CREATE TABLE fairness (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    counters TEXT NOT NULL
  ) STRICT;
  `,
  `
  -- What daemons have shown of themselves (core/routing/standings.ts), as JSON. One stays when its daemon goes.
  CREATE TABLE scores (
    daemon TEXT PRIMARY KEY,
    record TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- Who has won a race, once and for good: each is the fence that it began with.
  CREATE TABLE races (
    race INTEGER PRIMARY KEY,
    winner INTEGER NOT NULL CHECK (winner >= race),
    at INTEGER NOT NULL
  ) STRICT;
  `,
];
