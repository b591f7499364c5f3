-- Each write of {table} takes one from `fault`, and fails if none is left. A rollback gives all of them back.
CREATE TRIGGER fault_{table}_insert BEFORE INSERT ON {table} BEGIN
    UPDATE fault SET remaining = remaining - 1;
    SELECT RAISE(ABORT, 'fault') WHERE (SELECT remaining FROM fault) < 0;
END;
CREATE TRIGGER fault_{table}_update BEFORE UPDATE ON {table} BEGIN
    UPDATE fault SET remaining = remaining - 1;
    SELECT RAISE(ABORT, 'fault') WHERE (SELECT remaining FROM fault) < 0;
END;
