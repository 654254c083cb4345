#!/bin/sh
# A launcher for a test: a child that has inherited the output alone, and a fork that executes nothing and answers.
sleep 60 </dev/null &
(while read -r line; do echo "$line"; done)
true
