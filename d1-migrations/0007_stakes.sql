CREATE TABLE `stake_readings` (
	`epoch` integer PRIMARY KEY NOT NULL,
	`state` text NOT NULL,
	`step` integer NOT NULL,
	`first_slot` integer NOT NULL,
	`last_slot` integer NOT NULL,
	`after_account` text NOT NULL,
	`after_wallet` text NOT NULL,
	`wallets` integer NOT NULL,
	`started_at` integer NOT NULL,
	`ended_at` integer,
	CONSTRAINT "stake_readings_state" CHECK("stake_readings"."state" IN ('reading', 'checking', 'whole', 'abandoned')),
	CONSTRAINT "stake_readings_slots" CHECK("stake_readings"."first_slot" >= 0 AND "stake_readings"."last_slot" >= "stake_readings"."first_slot"),
	CONSTRAINT "stake_readings_end" CHECK(("stake_readings"."state" IN ('whole', 'abandoned')) = ("stake_readings"."ended_at" IS NOT NULL))
) STRICT;
--> statement-breakpoint
CREATE TABLE `stake_balances` (
	`epoch` integer NOT NULL,
	`account` text NOT NULL,
	`wallet` text NOT NULL,
	`linked_at` integer NOT NULL,
	`token_account` text NOT NULL,
	`amount` text NOT NULL,
	`slot` integer NOT NULL,
	PRIMARY KEY(`epoch`, `account`, `wallet`),
	CONSTRAINT "stake_balances_amount" CHECK("stake_balances"."amount" <> '' AND "stake_balances"."amount" NOT GLOB '*[^0-9]*')
) STRICT, WITHOUT ROWID;
