CREATE TRIGGER fault_of_void BEFORE UPDATE ON invoices WHEN NEW.state = 'void' BEGIN
    SELECT RAISE(ABORT, 'fault');
END;
