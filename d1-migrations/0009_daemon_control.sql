CREATE TABLE `operator_messages` (
	`id` text PRIMARY KEY NOT NULL,
	`level` text NOT NULL,
	`text` text NOT NULL,
	`daemon` text,
	`account` text,
	`until` integer NOT NULL,
	`sent_by` text NOT NULL,
	`sent_at` integer NOT NULL,
	`withdrawn_at` integer,
	CONSTRAINT "operator_messages_level" CHECK("operator_messages"."level" IN ('info', 'warning', 'error')),
	CONSTRAINT "operator_messages_to" CHECK("operator_messages"."daemon" IS NULL OR "operator_messages"."account" IS NULL)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `operator_messages_until` ON `operator_messages` (`until`) WHERE "operator_messages"."withdrawn_at" IS NULL;--> statement-breakpoint
ALTER TABLE `daemons` ADD `drained_at` integer;