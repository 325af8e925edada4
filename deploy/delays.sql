-- How late do planes leave, per 3 hours and length of flight? Event time is when they should have
-- left; a plane that is more than an hour behind the latest one known is late for its window.
CREATE TABLE flights (flight bigint, scheduled_at timestamptz, departed_at timestamptz,
                      delay_min int, distance_mi int, origin text, destination text)
  WITH (topic = 'flights', format = 'json', event_time = 'scheduled_at', watermark = '1 hour',
        late_topic = 'flights-late');
CREATE TABLE delays (window_start timestamptz, haul text, flights bigint,
                     mean_delay double precision, worst int)
  WITH (topic = 'delays', format = 'json');
INSERT INTO delays
  SELECT window_start,
         CASE WHEN distance_mi < 500 THEN 'short' WHEN distance_mi < 1500 THEN 'medium'
              ELSE 'long' END AS haul,
         count(*), avg(delay_min), max(delay_min)
  FROM tumble(flights, scheduled_at, interval '3 hours') GROUP BY window_start, haul;
