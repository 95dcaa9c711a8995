CREATE TABLE `probes` (
	`model` text NOT NULL,
	`id` text NOT NULL,
	`request` text NOT NULL,
	`answers` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`model`, `id`),
	CONSTRAINT "probes_request_json" CHECK(json_valid("probes"."request")),
	CONSTRAINT "probes_answers_json" CHECK(json_array_length("probes"."answers") > 0)
) STRICT, WITHOUT ROWID;
