CREATE INDEX front_case_state ON front_case (state, n);
