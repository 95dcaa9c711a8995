CREATE TABLE `challenges` (
	`id` text PRIMARY KEY NOT NULL,
	`address` text NOT NULL,
	`domain` text NOT NULL,
	`purpose` text NOT NULL,
	`subject` text NOT NULL,
	`message` text NOT NULL,
	`expires_at` integer NOT NULL,
	`used_at` integer,
	CONSTRAINT "challenges_purpose" CHECK("challenges"."purpose" IN ('sign_in', 'link', 'unlink'))
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `challenges_expires_at` ON `challenges` (`expires_at`);--> statement-breakpoint
CREATE TABLE `starters` (
	`identity` text PRIMARY KEY NOT NULL,
	`account` text NOT NULL,
	`day` integer NOT NULL,
	`millicredits` integer NOT NULL,
	`at` integer NOT NULL,
	CONSTRAINT "starters_amount" CHECK("starters"."millicredits" > 0)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `starters_account_unique` ON `starters` (`account`);--> statement-breakpoint
CREATE INDEX `starters_day` ON `starters` (`day`);--> statement-breakpoint
CREATE TABLE `wallets` (
	`address` text PRIMARY KEY NOT NULL,
	`account` text NOT NULL,
	`member` text NOT NULL,
	`role` text NOT NULL,
	`linked_at` integer NOT NULL,
	CONSTRAINT "wallets_role" CHECK("wallets"."role" IN ('sign_in', 'recovery'))
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `wallets_account` ON `wallets` (`account`,`member`);