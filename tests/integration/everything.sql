-- A schema with one of everything that an export claims to hold.
CREATE SCHEMA "Büro";
CREATE TYPE mood AS ENUM ('happy', 'it''s', E'back\\slash');
CREATE TYPE "Büro"."Größe" AS ENUM ('S', 'M');
CREATE TYPE address AS (street text, "zip code" varchar(10));
CREATE DOMAIN positive AS numeric(8,2) DEFAULT 1 CONSTRAINT above CHECK (VALUE > 0);
CREATE DOMAIN email AS text NOT NULL CHECK (VALUE LIKE '%@%');
CREATE SEQUENCE tickets INCREMENT 5 START 100 CYCLE MAXVALUE 10000;
CREATE FUNCTION full_name(first text, last text DEFAULT 'x') RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT first || '' '' || last';
CREATE TABLE people (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, first text NOT NULL, last text, mail email,
    called text GENERATED ALWAYS AS (first || coalesce(last, '')) STORED, mood mood DEFAULT 'it''s', moods mood[],
    score positive, home address, "Straße" text COLLATE "C", created timestamptz(3) DEFAULT now(), extra jsonb DEFAULT '{"a": 1}',
    ticket int DEFAULT nextval('tickets'), CONSTRAINT "not empty" CHECK (first <> ''), UNIQUE (first, last)
);
COMMENT ON TABLE people IS 'people; who''s who \ here';
COMMENT ON COLUMN people.last IS 'family';
ALTER SEQUENCE tickets OWNED BY people.ticket;
CREATE TABLE "Büro"."Tisch ""1""" (id serial PRIMARY KEY, wer bigint REFERENCES people ON DELETE CASCADE, g "Büro"."Größe", size varchar(5), flag bit(3));
ALTER TABLE people ADD COLUMN desk int, ADD CONSTRAINT at FOREIGN KEY (desk) REFERENCES "Büro"."Tisch ""1""" DEFERRABLE;
ALTER TABLE people DROP COLUMN extra;
CREATE UNIQUE INDEX one_mail ON people (mail) WHERE mood = 'happy';
CREATE UNIQUE INDEX by_ticket ON people (ticket) INCLUDE (score);
CREATE INDEX lower_first ON people (lower(first));
CREATE TABLE log (at date NOT NULL, what text CHECK (what IN ('a', 'b')), PRIMARY KEY (at, what)) PARTITION BY RANGE (at);
CREATE TABLE log_old (what text NOT NULL, at date NOT NULL);
ALTER TABLE log_old ADD CONSTRAINT log_what_check CHECK (what IN ('a', 'b'));
ALTER TABLE log ATTACH PARTITION log_old FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE log_new PARTITION OF log DEFAULT;
CREATE INDEX log_at ON log (at);
CREATE TABLE child (more int) INHERITS (people);
CREATE VIEW zz_names WITH (security_invoker = true) AS SELECT id, first || '!' AS loud, last FROM people;
CREATE VIEW aa_first AS SELECT z.id, z.last FROM zz_names z JOIN log l ON l.what = z.last;
CREATE MATERIALIZED VIEW counts AS SELECT mood, count(*) AS n FROM people GROUP BY mood;
CREATE UNIQUE INDEX ON counts (mood);
CREATE FUNCTION who(p people) RETURNS SETOF people LANGUAGE sql STABLE AS 'SELECT (p).*';
CREATE FUNCTION atomic() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM people; END;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.first := trim(NEW.first); RETURN NEW; END$$;
CREATE TRIGGER "Tidy up" BEFORE INSERT OR UPDATE OF first ON people FOR EACH ROW WHEN (NEW.first <> '') EXECUTE FUNCTION touch();
CREATE TRIGGER quiet BEFORE DELETE ON people FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE people DISABLE TRIGGER quiet;
CREATE TRIGGER note AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
ALTER TABLE people FORCE ROW LEVEL SECURITY;
CREATE POLICY "own rows USING (" ON people FOR UPDATE TO authenticated, anon USING (first = current_user) WITH CHECK (last <> ' WITH CHECK (');
CREATE POLICY only_some ON people AS RESTRICTIVE USING (id > 0);
GRANT SELECT, INSERT (first, last) ON people TO anon;
GRANT ALL ON zz_names TO authenticated;
GRANT SELECT ON log TO PUBLIC;
