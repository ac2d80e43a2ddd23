#!/bin/bash
exec "$(dirname "$0")"/all 2
