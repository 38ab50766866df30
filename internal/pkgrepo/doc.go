// Package pkgrepo brings the metadata of package repositories in a stage in line with their
// packages, by the distributions' own programs, createrepo_c and apt-ftparchive.
//
// It starts these programs only when that is asked for; else it notes what the metadata lacks.
package pkgrepo
