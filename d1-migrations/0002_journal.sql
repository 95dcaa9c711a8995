CREATE TABLE `journal` (
	`account` text NOT NULL,
	`seq` integer NOT NULL,
	`type` text NOT NULL,
	`at` integer NOT NULL,
	`lots_usdc` integer NOT NULL,
	`lots_none` integer NOT NULL,
	`treasury` integer NOT NULL,
	`pool` integer NOT NULL,
	`issuance` integer NOT NULL,
	`suspense` integer NOT NULL,
	PRIMARY KEY(`account`, `seq`),
	CONSTRAINT "journal_usdc" CHECK("journal"."lots_usdc" + "journal"."treasury" + "journal"."pool" = 0),
	CONSTRAINT "journal_none" CHECK("journal"."lots_none" + "journal"."issuance" + "journal"."suspense" = 0)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `journal_totals` (
	`name` text PRIMARY KEY NOT NULL,
	`amount` integer NOT NULL,
	`entries` integer NOT NULL
) STRICT, WITHOUT ROWID;
